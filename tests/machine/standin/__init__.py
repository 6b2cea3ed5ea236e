"""Programs that stand in for products which cannot be had where the tests run; tests/machine/standin/README.md."""
