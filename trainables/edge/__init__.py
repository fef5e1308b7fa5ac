"""The picker of an edge device. Imports itself, onnxruntime, numpy and obspy, and nothing else: a picker folder carries
this package alone, as `pick.pyz`."""

FDSN = "fdsn:"
"""Before the address of a data centre where files might stand too. `seisweep pick` fetches from there, an edge device
does not."""
