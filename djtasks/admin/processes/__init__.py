"""Who works and who beats, and what operators tell workers to do."""
