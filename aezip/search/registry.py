"""The families of plans that compete."""

from __future__ import annotations

from .contexts import Contexts
from .family import Family
from .learned import Autoencoders
from .static import Static
from .untrained import Untrained
from .variants import Variants

# context networks are tried before autoencoders, which must be promising beside them; at length the other way round: a context
# network refines the best autoencoder
FAMILIES: tuple[Family, ...] = (Untrained(), Static(), Contexts(), Variants(), Autoencoders())
