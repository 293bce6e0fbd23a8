"""What the core's tests share: server events by name, a scene to play them in, and readers of what came back."""
