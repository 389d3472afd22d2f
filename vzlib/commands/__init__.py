"""The command line `vzlib COMMAND`: a file has the commands of one group."""
