"""One suite for all adapters: the same inputs at the same times have to give the same outputs, whatever runs the conversation."""
