"""``ddpm doctor``."""

from ddpm.cli.output import say


def doctor() -> None:
    """Show this machine's device, precision and why, memory and versions."""
    import os
    import platform
    from importlib.metadata import PackageNotFoundError, version

    import psutil
    import torch

    from ddpm.system.cache import cache_folder
    from ddpm.system.device import best_device, best_precision
    from ddpm.system.units import say_bytes, say_count

    device = best_device()
    precision, why = best_precision(device)
    if device.type == "cuda":
        name = torch.cuda.get_device_name()
        free, total = torch.cuda.mem_get_info()
        memory = f"{say_bytes(free)} of {say_bytes(total)} free on the GPU"
    else:
        name = f"{say_count(os.cpu_count() or 1, 'core')}, {say_count(torch.get_num_threads(), 'thread')}"
        ram = psutil.virtual_memory()
        memory = f"{say_bytes(ram.available)} of {say_bytes(ram.total)} free"
    rows = {
        "device": f"{device.type} ({name})",
        "precision": f"{precision}: {why}",
        "memory": memory,
        "python": f"{platform.python_version()} on {platform.system()} {platform.machine()}",
        "cache": str(cache_folder()),
    }
    packages = "ddpm torch accelerate numpy pillow safetensors pydantic scikit-learn tensorboard"
    for package in packages.split():
        try:
            rows[package] = version(package)
        except PackageNotFoundError:
            rows[package] = f"not installed: pip install {package}"
    say(*(f"{key:12} {value}" for key, value in rows.items()))
