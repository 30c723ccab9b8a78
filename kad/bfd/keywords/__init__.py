"""The words of bfd_instance."""
