"""A TEST DOUBLE, not a baseline: a whole worker that makes noise from the clip's seed, with the standard library only.

The clip's name says what goes wrong with it, up to the first digit: `crash3` crashes. Everything else is fine.
"""

import json
import math
import os
import random
import signal
import subprocess
import sys
import threading
import time

import worker_kit


def load(job):
    if (job.source / "load-fails").exists():
        raise RuntimeError("the weights are of another network")
    if (job.source / "load-crashes").exists():
        os.kill(os.getpid(), signal.SIGSEGV)

    def generate(clip):
        act(job, clip)
        mode = clip.id.rstrip("0123456789")
        samples = noise(clip, job.options)
        if mode == "nan":
            samples[0][10] = math.nan
        elif mode == "zeros":
            samples = [[0.0] * len(samples[0])] * 2
        elif mode == "mono":
            samples = samples[:1]
        elif mode == "short":
            samples = [channel[:-3200] for channel in samples]
        elif mode == "nothing":
            samples = []
        remarks = [] if clip.caption is None else ["was told: " + clip.caption]
        return worker_kit.Sound(samples, 8000 if mode == "rate" else 16000, remarks)

    return generate


def act(job, clip):
    """What goes wrong beside the sound."""
    mode = clip.id.rstrip("0123456789")
    act_on_others(job, clip, mode)
    mark = job.source / ("seen-" + clip.id)
    first = not mark.exists()
    mark.touch()
    if mode == "error":
        raise KeyError("no such thing")
    if mode == "memory" or (mode == "memoryonce" and first):
        raise MemoryError("out of memory")
    if mode == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if mode == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if mode == "exit":
        sys.exit(0)
    if mode == "partial":
        with job.events.open("a") as stream:
            stream.write(json.dumps({"event": "done", "clip": clip.id, "file": "half"})[:30])
        os._exit(9)
    if mode == "garbage":
        with job.events.open("a") as stream:
            stream.write('\x00\x01 not json\n[]\n{}\n{"event": "done"}\n{"event": "done", "clip": "%s"}\n' % clip.id)
            stream.write('{"event": "not_a_word"}\n{"event": "failed", "clip": "of another job"}\n')
    if mode == "lingers":
        threading.Thread(target=time.sleep, args=(600,)).start()
    if mode == "slow":
        time.sleep(0.3)


def act_on_others(job, clip, mode):
    """What reaches beyond the process: children, events, files that were given, the log."""
    if mode in ("hang", "session", "junk"):
        # The child has a session of its own, and no parent for long: its number is written by a process between.
        leaves = "import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'],"
        leaves += " start_new_session=True); open(sys.argv[1], 'w').write(str(p.pid))"
        subprocess.run([sys.executable, "-c", leaves, str(job.source / "child")], check=True)
        (job.source / ".worker").write_text(str(os.getpid()))
        (job.source / ".worker").rename(job.source / "worker")  # who waits for it finds it whole
    if mode == "hang":
        time.sleep(600)
    while mode == "junk":
        with job.events.open("a") as stream:
            stream.write('junk\n{"event": []}\n{"event": "started", "clip": {}}\n{"event": "loaded"}\n[[[\n')
            stream.write('{"event": "started", "clip": "%s"}\n{"event": "started", "clip": "of nobody"}\n' % clip.id)
        time.sleep(0.05)
    if mode == "damages":
        clip.video.chmod(0o666)
        with clip.video.open("r+b") as stream:
            stream.write(b"damaged" * 20)
        for other in clip.video.parent.glob("*.mp4"):
            other.chmod(0o666)
            other.write_bytes(b"damaged")
        os._exit(9)
    if mode == "sees":
        assert not os.access(str(clip.video), os.W_OK) or os.geteuid() == 0
        assert clip.video.read_bytes()[4:8] == b"ftyp", "damaged"
    if mode == "prints":
        for _ in range(300):
            print("x" * 10_000, flush=True)
        time.sleep(1)
        (job.source / "log").write_text(str(os.fstat(1).st_size))


def noise(clip, options):
    """Two channels of noise, the right one four samples later and half as loud."""
    count = round(clip.seconds * 16000) + 4
    left = [options["gain"] * random.uniform(-1, 1) for _ in range(count)]
    if options["tone"] == "dull":
        left = [(a + b) / 2 for a, b in zip(left, [0.0, *left])]
    return [left[4:], [value / 2 for value in left[:-4]]]


if __name__ == "__main__":
    worker_kit.main(load)
