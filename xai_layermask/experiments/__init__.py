"""The paper's experiments: protocols, the store of results, the runner, reports and the benchmark."""
