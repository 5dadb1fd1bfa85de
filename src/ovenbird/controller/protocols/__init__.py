"""What a chassis sends of its own accord: announcements, advertisements, BFD, prefix delegation."""
