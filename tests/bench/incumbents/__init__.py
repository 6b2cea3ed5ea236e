"""The same end state made by this program, by pyinfra and by Ansible, side by side on the same kind of machine."""
