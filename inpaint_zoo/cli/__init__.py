"""The command line: `inpaint-zoo COMMAND ...`. Each command is a module that is imported only when it is called."""
