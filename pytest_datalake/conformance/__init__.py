"""What the profiles of the grid's authorisation ask of a storage, as a table; pure data."""
