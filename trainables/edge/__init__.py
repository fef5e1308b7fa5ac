"""The picker of an edge device. Imports itself, onnxruntime, numpy and obspy, and nothing else: a picker folder carries
this package alone, as `pick.pyz`."""
