"""What all methods that drop visual tokens inside the language model share."""
