"""Training of any network: settings, schedule, order of clips, reading ahead, the step, state, and the loop.

Plain `torch.distributed`, started by `torchrun`: what is ours here (draws that do not depend on the number of
processes, one state file that any number of processes can continue) is what the wrappers around it would hide, and
`import lightning` alone costs 9 s.
"""
