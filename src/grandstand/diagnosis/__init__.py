"""What `grandstand doctor` looks at: whether a deployment can keep its promises as it is set up, and what to do."""
