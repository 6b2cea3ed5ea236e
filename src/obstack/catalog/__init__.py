"""What can be deployed: components, the versions they exist in and what each version can do."""
