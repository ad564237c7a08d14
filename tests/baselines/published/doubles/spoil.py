# What tests put between a runner and the kit: the clip's name says what becomes of the sound that the runner made.


def spoiled(load):
    import json
    import os
    import signal
    import time

    def load_all(job):
        generate = load(job)

        def make(clip):
            mode = clip.id.rstrip("0123456789")
            sound = generate(clip)
            count = len(sound.samples[0])
            channels = len(sound.samples)
            if mode == "error":
                raise KeyError("no such thing")
            if mode == "memory":
                raise MemoryError
            if mode == "crash":
                os.kill(os.getpid(), signal.SIGSEGV)
            if mode == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            if mode == "partial":
                with job.events.open("a") as stream:
                    stream.write(json.dumps({"event": "done", "clip": clip.id, "file": "half"})[:30])
                os._exit(9)
            if mode == "hang":
                time.sleep(600)
            if mode == "rate":
                return worker_kit.Sound(sound.samples, sound.sample_rate // 2)
            samples = {
                "nan": [[float("nan")] * count] * channels,
                "zeros": [[0.0] * count] * channels,
                "channels": [[0.1] * count] * (channels + 1),
                "short": [[0.1] * 1000] * channels,
            }
            return worker_kit.Sound(samples.get(mode, sound.samples), sound.sample_rate)

        return make

    return load_all
