"""From a SeisBench data set to batches: catalog, splits, window store, batched augmentation, synthetic data."""
