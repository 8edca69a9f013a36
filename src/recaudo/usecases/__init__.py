"""What the product can do: one module per noun. Functions of the core's parts, a command and the account's clock."""
