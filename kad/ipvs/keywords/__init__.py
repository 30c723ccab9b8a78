"""The words of virtual and real servers, and what they mean."""
