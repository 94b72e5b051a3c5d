"""What leaves the app as files: tidy tables, a report in one file, a notebook that computes the numbers again."""
