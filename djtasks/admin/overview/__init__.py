"""The overview: what waits, what runs and how it went, who works and who beats; read from the rows at each look."""
