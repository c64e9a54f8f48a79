"""Problems: their values, the catalogue of all codes, and their renderings."""
