"""The types that documents bring, held against those that the indices of a data stream have and the next will have."""
