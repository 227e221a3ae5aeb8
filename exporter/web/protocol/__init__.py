"""HTTP/1.1 without input and output: requests and responses, and their form as bytes."""
