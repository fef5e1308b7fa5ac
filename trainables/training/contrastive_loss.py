"""The contrastive loss with codebook diversity, from sums that workers and batches can add up."""

# B batch, G group, K negative, L token, P width of the comparison, V code of a group

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from trainables.models.contrastive import Contrast, ContrastiveConfig


class ContrastiveSums(NamedTuple):
    """Sums over masked tokens. Sums of several batches or workers, added field by field, are those of the whole."""

    contrastive: Tensor
    """Of -log(share of the positive among positive and negatives)."""
    found: Tensor
    """Of 1 where the positive is nearest; where k negatives equal it, of 1 / (1 + k), as a guess among them."""
    masked: Tensor
    """Number of masked tokens."""
    probability_GV: Tensor
    """Of the softmax over codes."""
    chosen_GV: Tensor
    """How often each code was chosen."""

    def contrastive_loss(self) -> Tensor:
        """Mean over masked tokens."""
        return self.contrastive / self.masked

    def accuracy(self) -> Tensor:
        """Share of masked tokens whose positive is the nearest; by chance 1 / (1 + negatives)."""
        return self.found / self.masked

    def diversity_loss(self) -> Tensor:
        """1 where one code of each group is ever likely, 0 where all are equally (eq. 4, as a share of codes)."""
        return 1 - _perplexity(self.probability_GV / self.masked) / self.probability_GV.numel()

    def hard_perplexity(self) -> Tensor:
        """Effective number of codes in use, summed over groups, from the choices themselves."""
        return _perplexity(self.chosen_GV / self.masked)

    def loss(self, diversity_weight: float) -> Tensor:
        """What pretraining minimises."""
        return self.contrastive_loss() + diversity_weight * self.diversity_loss()


def contrastive_sums(contrast: Contrast, mask_BL: Tensor, negatives_BLK: Tensor, temperature: float) -> ContrastiveSums:
    """InfoNCE over cosine similarities (eq. 3), counted at masked tokens.

    `negatives_BLK` holds tokens of the same waveform. A negative with the codes of the positive is left out: it is
    no wrong answer. All pairs of tokens are compared and the wanted ones picked: copies of the negatives' vectors
    would need many times the memory.
    """
    with torch.autocast(contrast.context_BLP.device.type, enabled=False):
        context_BLP = torch.nn.functional.normalize(contrast.context_BLP.float(), dim=-1)
        target_BLP = torch.nn.functional.normalize(contrast.target_BLP.float(), dim=-1)
        similarity_BLL = context_BLP @ target_BLP.transpose(1, 2) / temperature
    positive_BL = similarity_BLL.diagonal(dim1=1, dim2=2)
    equal_BLK = _same_codes(contrast.quantized.choice_BLG, negatives_BLK)
    negative_BLK = similarity_BLL.gather(2, negatives_BLK).masked_fill(equal_BLK, -torch.inf)
    all_BL1K = torch.cat([positive_BL.unsqueeze(-1), negative_BLK], dim=-1)
    nearest_BL = positive_BL > negative_BLK.amax(-1)
    probability_BLGV = contrast.quantized.probabilities_BLGV
    chosen_BLGV = torch.nn.functional.one_hot(contrast.quantized.choice_BLG, probability_BLGV.shape[-1])
    return ContrastiveSums(
        contrastive=(all_BL1K.logsumexp(-1) - positive_BL)[mask_BL].sum(),
        found=(nearest_BL / (1 + equal_BLK.sum(-1)))[mask_BL].sum(),
        masked=mask_BL.sum(),
        probability_GV=probability_BLGV[mask_BL].sum(0),
        chosen_GV=chosen_BLGV[mask_BL].sum(0),
    )


def total_loss(contrast: Contrast, mask_BL: Tensor, negatives_BLK: Tensor, config: ContrastiveConfig) -> Tensor:
    """The loss of a batch that no other worker shares."""
    return contrastive_sums(contrast, mask_BL, negatives_BLK, config.temperature).loss(config.diversity_weight)


def _same_codes(choice_BLG: Tensor, negatives_BLK: Tensor) -> Tensor:
    same_BLK = torch.ones_like(negatives_BLK, dtype=torch.bool)
    for choice_BL in choice_BLG.unbind(-1):
        other_BLK = choice_BL.unsqueeze(1).expand(-1, choice_BL.shape[1], -1).gather(2, negatives_BLK)
        same_BLK &= other_BLK == choice_BL.unsqueeze(-1)
    return same_BLK


def _perplexity(share_GV: Tensor) -> Tensor:
    return torch.special.entr(share_GV).sum(-1).exp().sum()
