"""The promises that a deployment keeps, as checks that read and never write: one promise a module."""
