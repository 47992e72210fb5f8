"""Values to integers and back: grids and lattices, and finding them."""
