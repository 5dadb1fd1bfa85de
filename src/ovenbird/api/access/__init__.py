"""Authentication, policies, visibility and quotas."""
