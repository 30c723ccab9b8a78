"""The words of checkers, and what they mean."""
