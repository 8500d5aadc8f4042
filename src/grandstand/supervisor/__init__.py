"""The process tree of `grandstand up`: engines and children started in order, kept alive, and ended in order."""
