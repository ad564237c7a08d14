"""Work on many machines: engines that do for `visaudio_bench.pool.map_unordered` what its own processes do on one."""
