"""What neurograph is measured against. Each peer does the same job, and must yield the same numbers to be timed."""
