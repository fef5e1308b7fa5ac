"""Parts of a training loop: losses, optimizers, checkpoints, the epoch loop."""
