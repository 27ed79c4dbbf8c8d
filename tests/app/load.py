"""Load of the playground: `python -m tests.app.load --clients 8 --seconds 180`.

Starts a server, and clients on loopback. Each client paints on a photograph of its own, compares every answer with that
of the library, and explains now and then. Prints how many answers were right, how long they took, and the server's
memory over time. `--model tiny:classifier` is a small network of the tests, which leaves the load to the server.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from app.served import Client

PATHS = os.pathsep.join(str(folder) for folder in Path(__file__).resolve().parents[1:3])


def resident(process):
    """Megabytes of memory of a process."""
    words = Path(f"/proc/{process.pid}/statm").read_text().split()
    return int(words[1]) * 4096 / 1e6


def photographs(count):
    from PIL import Image
    from skimage.data import astronaut, camera, chelsea, coffee

    found = [astronaut(), camera(), chelsea(), coffee()]
    for number in range(count):
        file = io.BytesIO()
        Image.fromarray(found[number % 4]).rotate(90 * (number // 4)).save(file, "PNG")
        yield file.getvalue()


class Reference:
    """What the library answers to a few masks of each photograph, before the load begins."""

    def __init__(self, model, contents, masks=3):
        import torch

        from xai_layermask import images, models
        from xai_layermask.app import COMPARED
        from xai_layermask.maskings import make

        classifier = models.load(model)
        maskings = {name: make(name, classifier.model, classifier.preprocess) for name in COMPARED}
        rng, self.cases = np.random.default_rng(0), []
        for content in contents:
            image, seen = classifier.preprocess(images.decode_image(content, "x"))
            rows = []
            for _ in range(masks):
                presence = np.ones(seen.shape[:2], bool)
                side = len(presence) * 3 // 8
                y, x = rng.integers(0, len(presence) - side, 2)
                presence[y : y + side, x : x + side] = False
                mask = torch.from_numpy(presence)[None, None]
                with torch.no_grad():
                    top = [one(image, mask).softmax(1)[0].topk(3) for one in maskings.values()]
                rows.append((presence, top))
            self.cases.append(rows)


def use(url, model, number, content, cases, until, counts, times, explain):
    client, rng = Client(url, model), random.Random(number)
    view = client.upload(content, f"{number}.png")
    while time.monotonic() < until:
        presence, wanted = rng.choice(cases)
        started = time.monotonic()
        status, answer = client.reply("POST", "api/predict", np.packbits(presence).tobytes(), model=model,
                                      picture=view["picture"])
        times.append(time.monotonic() - started)
        right = status == 200 and all(
            [row["class"] for row in one["top"]] == top.indices.tolist()
            and np.allclose([row["probability"] for row in one["top"]], top.values, atol=1e-4)
            for one, top in zip(answer["answers"], wanted, strict=True)
        )
        counts["right" if right else f"wrong ({status})"] = counts.get("right" if right else f"wrong ({status})", 0) + 1
        if explain and rng.random() < 0.02:
            request = {"model": model, "masking": "layer", "segments": "patches:16", "samples": 100}
            status, _ = client.reply("POST", "api/explanation", json.dumps(request))
            kind = "explanations" if status == 200 else f"explanations refused ({status})"
            counts[kind] = counts.get(kind, 0) + 1
        if rng.random() < 0.05:
            view = client.upload(content, f"{number}.png")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=180)
    parser.add_argument("--model", default="lite0")
    parser.add_argument("--no-explanations", action="store_true")
    args = parser.parse_args()
    contents = list(photographs(args.clients))
    reference = Reference(args.model, contents)
    command = [sys.executable, "-m", "xai_layermask", "app", "--port", "0", "--quiet", "--model", args.model]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": PATHS})
    try:
        url = server.stdout.readline().strip()
        until, counts, times, memory = time.monotonic() + args.seconds, {}, [], []
        threads = [
            threading.Thread(target=use, args=(url, args.model, number, content, cases, until, counts, times,
                                               not args.no_explanations))
            for number, (content, cases) in enumerate(zip(contents, reference.cases, strict=True))
        ]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            memory.append(resident(server))
            time.sleep(min(10, args.seconds / 18))
        print(json.dumps({  # noqa: T201
            "clients": args.clients, "seconds": args.seconds, "answers": counts,
            "seconds per answer": {f"{q} %": round(float(np.percentile(times, q)), 2) for q in (50, 95, 100)},
            "memory in MB": [round(one) for one in memory],
        }, indent=2))  # fmt: skip
    finally:
        server.send_signal(2)
        print("exit code of the server:", server.wait(60))  # noqa: T201


if __name__ == "__main__":
    main()
