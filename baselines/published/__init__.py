"""Published systems: each runs its authors' own source in its own environment, behind one contract.

A system is a folder here with three files, and nothing else knows its name:

`card.toml`
    what must be known of it (`baselines.published.card`): paper, repository and pinned commit, licences, weights,
    what it is given, what it natively makes, and every choice that the paper leaves open as a named option.
`requirements.lock`
    its environment: exact pins, one `name==version` a line, no addresses.
`runner.py`
    runs inside that environment. It imports its authors' functions and `worker_kit`, and nothing of ours. It defines
    `load(job)`, which builds the model once and returns the function that makes one clip's sound, and ends with
    `worker_kit.main(load)` (see `worker_kit` for both).

A system whose authors published no code has a card only, with `status = "outputs_only"` and the reason.

The job, `job.json` (written by `baselines.published.job_folders`, read by `worker_kit`)::

    {"schema": "visaudio-bench-job/1", "system": "mmaudio",
     "source": "/…/source",            the authors' code, put on sys.path
     "weights": "/…/weights" or null,  null means random weights: build the model and leave it as it is
     "work": "/…",                     the process's own folder: current directory and TMPDIR
     "native": "/…",                   where sounds go, as <clip id>.wav
     "events": "/…/events.jsonl", "device": "cpu" or "cuda:0",
     "options": {"steps": 25},         every option of the card, with its value
     "clips": [{"id": "a", "seed": 1804289383, "seconds": 8.0,
                "video": "/…/a.mp4",   25 pictures a second, silent, last picture held to seconds + 0.2
                "image": "/…/a.png" or null, "frames": "/…/a" or null, "mono": "/…/a.wav" or null,
                "caption": "…" or null, "cot": "…" or null}]}

No sound of a reference is reachable from a job: its video has no sound track, `mono` is null unless the card asks for
it (systems that binauralise), and the worker's environment holds none of our variables. `seed` is the clip's own,
below 2**31; the kit seeds `random`, NumPy and torch with it before every clip.

The events, `events.jsonl` (written by `worker_kit`, one flushed line each, read by
`baselines.published.worker_process`)::

    {"event": "environment", "schema": "visaudio-bench-events/1", "python": …, "packages": {…}, "device": …, "pid": …}
    {"event": "loaded", "seconds": 12.3}        or {"event": "not_loaded", "message": …, "where": …}, exit code 4
    {"event": "started", "clip": "a"}
    {"event": "done", "clip": "a", "file": "a.wav", "sample_rate": 44100, "channels": 1, "samples": 353280,
     "seconds": 4.2, "seed": …, "memory": {"host": bytes, "device": bytes or null}, "remarks": []}
    {"event": "failed", "clip": "b", "reason": "error" or "out_of_memory", "message": …, "where": …, "seconds": …}
    {"event": "finished"}

Exit codes: 0 the job is through (failed clips are in the events), 4 the model could not be loaded, 5 memory ran out
(the process ends so that the next clip starts in a fresh one). Everything else is a crash.

Captions are chosen by `baselines.published.prompts.texts`. After a worker the rest is ours: native sound to
`(2, seconds x 44100)` by the card's post-processing (`baselines.published.postprocess.POSTPROCESSES`), validation,
wav, record.
"""
