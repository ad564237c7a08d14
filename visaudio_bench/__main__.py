"""`python -m visaudio_bench`, and `torchrun ... -m visaudio_bench`: the command line."""

from visaudio_bench.bench.cli import main

if __name__ == "__main__":
    main()
