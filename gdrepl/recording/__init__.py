"""Session files, the journal, atomic writing, and comparing a replay with its recording."""
