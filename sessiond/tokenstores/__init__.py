"""Token stores: values that programs keep here for each other, and locks to renew them under."""
