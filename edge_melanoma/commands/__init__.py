"""The commands, one file each; they alone chain the stages."""
