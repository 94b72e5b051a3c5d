"""The post that the app starts from: its numbers as data, and the same for the models at hand, row by row."""
