"""Where bars come from: files, exchanges, and seeded synthetic markets."""
