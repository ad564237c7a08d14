"""What training the flow network needs beside `models.training`: recipe, batches, draws, the step, and the start."""
