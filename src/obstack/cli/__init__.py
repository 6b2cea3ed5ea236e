"""The command line: one file a command group. Printing, exit codes and the single place that catches StackError."""
