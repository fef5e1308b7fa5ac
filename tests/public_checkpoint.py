"""A small checkpoint in the layout of the public xLSTM repository, whose models were trained on components Z, N, E."""

from __future__ import annotations

from typing import Any

from torch import nn

from trainables.models.pretrained import FIRST_CONVOLUTION

PUBLIC_NAMES = [  # ours, then those of the public repository
    ("encoder.norm.", "encoder.final_norm."),
    ("encoder.projection.", "encoder.final_projection."),
    (".norm.", ".ln."),
    ("mask_embedding", "encoder.mask_emb"),
    ("backbone.norm.", "model._net.out_norm."),
    ("backbone.ln.", "model._net.out_norm."),
    ("backbone.down_stages.", "model._net.enc_stages."),
    ("backbone.center.", "model._net.center.0."),
    ("backbone.", "model._net."),
    (".forward_stacks.", ".blocks_fwd."),
    (".backward_stacks.", ".blocks_bwd."),
    ("quantizer.", "model.quantizer."),
    ("project_context.", "model.final_projection."),
    ("project_target.", "model.conv_feature_projection."),
]


def lightning(model: nn.Module, **more: Any) -> dict[str, Any]:
    """A checkpoint with the names of the public repository."""
    weights = {}
    for name, tensor in model.state_dict().items():
        if name == FIRST_CONVOLUTION:
            tensor = tensor[:, [2, 1, 0]]  # it reads Z, N, E
        for ours, theirs in PUBLIC_NAMES:
            name = name.replace(ours, theirs)
        weights[name] = tensor
    return {"state_dict": weights, "epoch": 3, "pytorch-lightning_version": "2.5.0"} | more
