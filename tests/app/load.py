"""Load of the playground: `python -m tests.app.load --clients 8 --seconds 180`.

Starts a server with the embedded model and clients on loopback. Each client paints on a photograph of its own, compares
every answer with that of the library, and explains now and then. Prints how many answers were right, how long they
took, and the server's memory over time.
"""

from __future__ import annotations

import argparse
import io
import json
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from app.served import Client


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

    def __init__(self, contents, masks=3):
        import torch

        from xai_layermask import images, models
        from xai_layermask.app import COMPARED
        from xai_layermask.maskings import make

        classifier = models.load("lite0")
        maskings = {name: make(name, classifier.model, classifier.preprocess) for name in COMPARED}
        rng, self.cases = np.random.default_rng(0), []
        for content in contents:
            image, seen = classifier.preprocess(images.decode_image(content, "x"))
            rows = []
            for _ in range(masks):
                presence = np.ones(seen.shape[:2], bool)
                y, x = rng.integers(0, 140, 2)
                presence[y : y + 84, x : x + 84] = False
                mask = torch.from_numpy(presence)[None, None]
                with torch.no_grad():
                    top = [one(image, mask).softmax(1)[0].topk(3) for one in maskings.values()]
                rows.append((presence, top))
            self.cases.append(rows)


def use(url, number, content, cases, until, counts, times, explain):
    client, rng = Client(url, "lite0"), random.Random(number)
    view = client.upload(content, f"{number}.png")
    while time.monotonic() < until:
        presence, wanted = rng.choice(cases)
        started = time.monotonic()
        status, answer = client.reply("POST", "api/predict", np.packbits(presence).tobytes(), model="lite0",
                                      picture=view["picture"])
        times.append(time.monotonic() - started)
        right = status == 200 and all(
            [row["class"] for row in one["top"]] == top.indices.tolist()
            and np.allclose([row["probability"] for row in one["top"]], top.values, atol=1e-4)
            for one, top in zip(answer["answers"], wanted, strict=True)
        )
        counts["right" if right else f"wrong ({status})"] = counts.get("right" if right else f"wrong ({status})", 0) + 1
        if explain and rng.random() < 0.02:
            request = {"model": "lite0", "masking": "layer", "segments": "slic:64", "samples": 100}
            status, _ = client.reply("POST", "api/explanation", json.dumps(request))
            kind = "explanations" if status == 200 else f"explanations refused ({status})"
            counts[kind] = counts.get(kind, 0) + 1
        if rng.random() < 0.05:
            view = client.upload(content, f"{number}.png")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=180)
    parser.add_argument("--no-explanations", action="store_true")
    args = parser.parse_args()
    contents = list(photographs(args.clients))
    reference = Reference(contents)
    server = subprocess.Popen([sys.executable, "-m", "xai_layermask", "app", "--port", "0", "--quiet"],
                              stdout=subprocess.PIPE, text=True)
    try:
        url = server.stdout.readline().strip()
        until, counts, times, memory = time.monotonic() + args.seconds, {}, [], []
        threads = [
            threading.Thread(target=use, args=(url, number, contents[number], reference.cases[number], until, counts,
                                               times, not args.no_explanations))
            for number in range(args.clients)
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
