"""The kinds of autoencoder: their names, their sizes, their sources. Knows no arithmetic; `docs/variants.md` has the formulas.

deep          undercomplete code                                          Hinton & Salakhutdinov 2006, without pre-training
sparse        overcomplete code, all but the k largest latents are zero   Makhzani & Frey, arXiv:1312.5663
denoising     overcomplete code, corrupted input, clean target            Vincent et al. 2008
contractive   penalty on the encoder's Jacobian                           Rifai et al. 2011
stacked       layer after layer, then all together                        Bengio et al. 2007
rbm           restricted Boltzmann machines, unrolled, then all together  Hinton & Salakhutdinov 2006
"""

from __future__ import annotations

from aezip.core.errors import InvalidInput
from aezip.core.fixed import MOST_CODES

VARIANTS = ("deep", "sparse", "denoising", "contractive", "stacked", "rbm")
AUTO = "auto"
OVERCOMPLETE = ("sparse", "denoising")
PRETRAINED = ("stacked", "rbm")
ACTIVE = 0.1  # part of the latents that a sparse autoencoder keeps of each row
CORRUPTED = 0.25  # part of the inputs that a denoising autoencoder does not see in training
CONTRACTION = 0.3  # bits a value that the penalty weighs where the norm of the Jacobian is that of the start


def check(name: str) -> str:
    """Return a name that the user gave.

    Raises
    ------
    InvalidInput
        If there is no such variant.
    """
    if name not in (*VARIANTS, AUTO):
        raise InvalidInput(f"unknown variant {str(name)[:40]!r}: use one of {', '.join((*VARIANTS, AUTO))}")
    return name


def insisted(name: str) -> bool:
    """Tell whether asking for a variant means that no plan without codes may take its place.

    The default is the deep autoencoder where one pays; `auto` chooses freely too. Any other name is meant.
    """
    return name not in (VARIANTS[0], AUTO)


def width_for(variant: str, width: int, features: int) -> int:
    """Return the width of the bottleneck: overcomplete variants have twice the features, or as many as the format allows."""
    return min(2 * features, MOST_CODES) if variant in OVERCOMPLETE else width


def fits(variant: str, features: int) -> bool:
    """Tell whether rows of so many features can have this variant: an overcomplete code must be wider than the row."""
    return variant not in OVERCOMPLETE or width_for(variant, 0, features) > features


def winners(variant: str, width: int) -> int:
    """Return how many latents of a row a sparse autoencoder keeps; 0: all."""
    return max(1, round(ACTIVE * width)) if variant == "sparse" else 0
